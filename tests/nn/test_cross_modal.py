"""Laws of features of an instruction and a view: all see all, padding is not seen, attention is a share."""

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.nn.cross_modal import CODES, CrossModalConfig, CrossModalTransformer
from rlgen.nn.transformer import Transformer, TransformerSizes

WORDS = 5


@pytest.fixture
def network() -> CrossModalTransformer:
    torch.manual_seed(0)
    made = CrossModalTransformer(9, WORDS, CrossModalConfig(width=16, depth=2, heads=2)).eval()
    with torch.no_grad():  # so large that every connection shows
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return made


@pytest.fixture
def seen() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    image = torch.stack([torch.randint(number, (3, 7, 7), generator=random) for number in CODES], -1)
    return image, torch.tensor([0, 1, 3]), torch.tensor([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8], [1, 2, 0, 0, 0]])


def test_features_have_the_shapes_of_words_and_whole(network: CrossModalTransformer, seen: tuple) -> None:
    found = network(*seen)
    assert found.words.shape == (3, WORDS, 16)
    assert found.pooled.shape == (3, 16)


@pytest.mark.parametrize("part", range(3))
def test_each_part_changes_the_features_of_all_others(network: CrossModalTransformer, seen: tuple, part: int) -> None:
    changed = [each.clone() for each in seen]
    if part == 0:
        changed[0][:, 3, 3, 1] = (changed[0][:, 3, 3, 1] + 1) % CODES[1]
    elif part == 1:
        changed[1] = (changed[1] + 1) % 4
    else:
        changed[2][:, 0] = 8
    before, after = network(*seen), network(*changed)
    assert not torch.isclose(after.pooled, before.pooled).all(-1).any()
    assert not torch.isclose(after.words[:, 1], before.words[:, 1]).all(-1).any()


def test_padding_is_not_seen(network: CrossModalTransformer, seen: tuple) -> None:
    image, direction, mission = seen
    with torch.no_grad():
        before = network(image, direction, mission).pooled
        network.words.weight[0] = 100.0
        after = network(image, direction, mission).pooled
    torch.testing.assert_close(after, before)


def test_features_are_the_same_without_columns_of_padding(network: CrossModalTransformer, seen: tuple) -> None:
    image, direction, mission = (each[::2] for each in seen)
    whole, cut = network(image, direction, mission), network(image, direction, mission[:, :3])
    torch.testing.assert_close(cut.pooled, whole.pooled)
    torch.testing.assert_close(cut.words, whole.words[:, :3])
    torch.testing.assert_close(network.pooled(image, direction, mission), whole.pooled)
    shares = network.attention(image, direction, mission)
    torch.testing.assert_close(network.attention(image, direction, mission[:, :3]), shares[:, :3])


def test_an_instruction_without_words_has_features(network: CrossModalTransformer, seen: tuple) -> None:
    image, direction, mission = seen
    found = network(image, direction, torch.zeros_like(mission))
    assert found.words.shape == (3, WORDS, 16)
    torch.testing.assert_close(network.pooled(image, direction, torch.zeros_like(mission)), found.pooled)


@pytest.mark.parametrize("learned", [0, 5])
def test_features_of_the_first_tokens_are_those_of_all(learned: int) -> None:
    torch.manual_seed(0)
    sizes = TransformerSizes(width=16, depth=2, heads=2, learned_positions=learned)
    network, tokens = Transformer(sizes, causal=False), torch.randn(3, 5, 16)
    present = torch.arange(5).expand(3, -1) < torch.tensor([[5], [3], [2]])
    whole = network(tokens, present=present)
    torch.testing.assert_close(network(tokens, present=present, first=2), whole[:, :2])


def test_shares_of_attention_are_positive_at_words_and_zero_at_padding(
    network: CrossModalTransformer, seen: tuple
) -> None:
    found = network.attention(*seen)
    assert torch.equal(found > 0, seen[2] != 0)
    assert (found.sum(1) < 1).all()


@pytest.mark.parametrize("causal", [True, False])
def test_shares_of_attention_give_the_features_that_attention_has(causal: bool) -> None:
    torch.manual_seed(0)
    block = Transformer(TransformerSizes(width=16, depth=1, heads=2), causal=causal).blocks[0]
    attention, tokens, angles = block.attention, torch.randn(3, 5, 16), torch.randn(5, 4)
    present = torch.arange(5).expand(3, -1) < torch.tensor([[5], [3], [2]])
    shares = attention.weights(tokens, angles, causal, present)
    value = attention.key_value(tokens).unflatten(-1, (2, -1)).transpose(1, 2)[..., 8:]
    expected = attention.output((shares @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(tokens, angles, causal, None, present), expected)


def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(InputError, match="a vocabulary of padding and a word"):
        CrossModalTransformer(1, WORDS)
