"""The device is chosen with a reason, and asking for one that is not there is an error with three parts."""

from types import SimpleNamespace

import pytest
import torch

from rlgen.errors import InputError
from rlgen.system.device import choose_device, device_name


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def one_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    properties = SimpleNamespace(name="NVIDIA H200", total_memory=140 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)


def test_auto_without_a_gpu_is_the_cpu_and_says_why(no_cuda):
    device, sentence = choose_device("auto")
    assert device == torch.device("cpu")
    assert sentence.startswith("device cpu (1 torch thread), because PyTorch")


def test_auto_with_a_gpu_is_the_first_one(one_cuda):
    assert choose_device() == (
        torch.device("cuda:0"),
        "device cuda:0 (NVIDIA H200, 140 GiB), because a GPU is available",
    )


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_gpu_asked_for_by_name_is_taken(one_cuda, name):
    device, sentence = choose_device(name)
    assert device == torch.device("cuda:0")
    assert sentence.endswith("as asked")


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_of_several_gpus_that_is_taken_which_is_set(one_cuda, monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert choose_device(name)[0] == torch.device("cuda:3")
    assert choose_device("cuda:1")[0] == torch.device("cuda:1")


def test_the_cpu_is_taken_when_asked_for_beside_a_gpu(one_cuda):
    assert choose_device("cpu") == (torch.device("cpu"), "device cpu (1 torch thread), as asked")


def test_a_gpu_that_is_not_there_is_an_error_with_a_remedy(no_cuda):
    with pytest.raises(InputError, match=r"expected a CUDA device .* got PyTorch .* use --device cpu"):
        choose_device("cuda")


def test_a_gpu_number_too_high_is_an_error(one_cuda):
    with pytest.raises(InputError, match="below cuda:1"):
        choose_device("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "", "mps"])
def test_an_unknown_device_is_an_error(name):
    with pytest.raises(InputError, match="auto, cpu, cuda"):
        choose_device(name)


def test_the_name_of_the_cpu_tells_the_threads():
    assert device_name("cpu") == "cpu (1 torch thread)"
