"""AIRL's equations: shaping leaves optimal policies as they are, and the logit is that of the paper's discriminator."""

import torch

from rlgen.equations.shaped_rewards import policy_ratio_logit, shaped_reward

GAMMA = 0.9


def test_shaping_changes_the_return_by_the_potential_of_the_first_state_only() -> None:
    generator = torch.Generator().manual_seed(0)
    reward, potential = torch.randn(7, generator=generator), torch.randn(8, generator=generator)
    ended = torch.arange(7) == 6
    shaped = shaped_reward(reward, potential[:-1], potential[1:], ended, GAMMA)
    discounts = GAMMA ** torch.arange(7)
    torch.testing.assert_close((discounts * shaped).sum(), (discounts * reward).sum() - potential[0])


def test_optimal_policies_are_those_without_shaping() -> None:
    generator = torch.Generator().manual_seed(1)
    following = torch.randint(5, (5, 3), generator=generator)  # a deterministic chain of 5 states and 3 actions
    reward, potential = torch.randn(5, generator=generator), 3 * torch.randn(5, generator=generator)
    ended = torch.zeros(15, dtype=torch.bool)
    state = torch.arange(5).repeat_interleave(3)
    shaped = shaped_reward(reward[state], potential[state], potential[following.flatten()], ended, GAMMA).view(5, 3)

    def soft_policy(rewards: torch.Tensor) -> torch.Tensor:
        values = torch.zeros(5)
        for _ in range(500):
            q = rewards + GAMMA * values[following]
            values = q.logsumexp(1)
        return q.softmax(1)

    torch.testing.assert_close(soft_policy(shaped), soft_policy(reward[:, None].expand(5, 3)), atol=1e-4, rtol=0)


def test_the_logit_is_that_of_the_discriminator_of_the_paper() -> None:
    shaped, prob = torch.tensor([0.3, -1.2, 2.0]), torch.tensor([0.7, 0.01, 3.5])  # a density may exceed 1
    d = shaped.exp() / (shaped.exp() + prob)
    torch.testing.assert_close(policy_ratio_logit(shaped, prob.log()).sigmoid(), d)
    torch.testing.assert_close(policy_ratio_logit(shaped, prob.log()), d.log() - (1 - d).log())
