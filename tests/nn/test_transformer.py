"""Laws of sequence networks: no token depends on later ones, and what is kept of earlier ones changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.nn.past import Past
from rlgen.nn.sequence_lstm import SequenceLSTM
from rlgen.nn.transformer import Transformer, TransformerSizes

SIZES = TransformerSizes(width=16, depth=2, heads=2)
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "transformer": lambda: Transformer(SIZES),
    "gpt2": lambda: Transformer(replace(SIZES, learned_positions=7)),
    "lstm": lambda: SequenceLSTM(16, 2),
}


def larger(network: nn.Module) -> nn.Module:
    """The network with weights so large that every connection shows."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return network.eval()


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return larger(NETWORKS[request.param]())


@pytest.fixture
def tokens() -> Tensor:
    return torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(2))


def test_a_later_token_never_changes_an_earlier_feature(network: nn.Module, tokens: Tensor) -> None:
    before = network(tokens)
    for place in range(7):
        changed = tokens.clone()
        changed[:, place] *= -1  # a norm would remove a constant that is added to all features
        after = network(changed)
        assert torch.equal(after[:, :place], before[:, :place])
        assert not torch.allclose(after[:, place:], before[:, place:])


@pytest.mark.parametrize("pieces", [(1, 1, 1, 1, 1, 1, 1), (3, 4), (5, 1, 1)])
def test_pieces_after_a_past_have_the_features_of_the_whole(
    network: nn.Module, tokens: Tensor, pieces: tuple[int, ...]
) -> None:
    past = Past()
    found = torch.cat([network(piece, past) for piece in tokens.split(pieces, 1)], 1)
    torch.testing.assert_close(found, network(tokens))
    assert past.length == 7


def test_an_encoder_sees_later_tokens(tokens: Tensor) -> None:
    encoder = larger(Transformer(SIZES, causal=False))
    changed = tokens.clone()
    changed[:, -1] *= -1
    assert not torch.allclose(encoder(changed)[:, 0], encoder(tokens)[:, 0])


@pytest.mark.parametrize("causal", [True, False])
def test_padding_is_not_seen(tokens: Tensor, causal: bool) -> None:
    network = larger(Transformer(SIZES, causal=causal))
    present = torch.arange(7).expand(3, -1) < 5
    padded = tokens.clone()
    padded[:, 5:] = 100.0
    torch.testing.assert_close(network(padded, present=present)[:, :5], network(tokens[:, :5]))


def test_a_decoder_sees_its_whole_source_and_no_padding_of_it(tokens: Tensor) -> None:
    decoder = larger(Transformer(SIZES, cross=True))
    source = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(3))
    before = decoder(tokens, source=source)
    for place in range(4):
        changed = source.clone()
        changed[:, place] *= -1
        assert not torch.allclose(decoder(tokens, source=changed)[:, 0], before[:, 0])
    present = torch.arange(4).expand(3, -1) < 2
    found = decoder(tokens, source=source, source_present=present)
    torch.testing.assert_close(found, decoder(tokens, source=source[:, :2]))


def test_features_depend_on_the_order_of_earlier_tokens(network: nn.Module, tokens: Tensor) -> None:
    swapped = tokens[:, [1, 0, *range(2, 7)]]
    assert not torch.allclose(network(swapped)[:, -1], network(tokens)[:, -1])


def test_more_tokens_than_learned_positions_are_refused(tokens: Tensor) -> None:
    network = Transformer(replace(SIZES, learned_positions=6))
    with pytest.raises(InputError, match="at most 6 tokens, one for each position"):
        network(tokens)


def test_half_precision_on_a_cpu_is_near_full_precision(tokens: Tensor) -> None:
    network = Transformer(SIZES).eval()
    with torch.autocast("cpu", torch.bfloat16):
        low = network(tokens)
    torch.testing.assert_close(low.float(), network(tokens), atol=0.05, rtol=0.05)


def test_a_width_that_heads_do_not_divide_into_pairs_is_refused() -> None:
    with pytest.raises(InputError, match="a multiple of twice the number of heads"):
        TransformerSizes(width=12, depth=1, heads=4)
