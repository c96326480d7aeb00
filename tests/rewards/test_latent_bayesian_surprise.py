"""Latent Bayesian surprise: what it says of news that can and cannot be foreseen, and in which unit it pays."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgen.rewards import LatentBayesianSurprise, LatentBayesianSurpriseConfig, TaskShape

PLANE = TaskShape(observation_size=2, action_size=2, n_envs=4)


def made(config: LatentBayesianSurpriseConfig, shape: TaskShape = PLANE) -> LatentBayesianSurprise:
    torch.manual_seed(0)
    return LatentBayesianSurprise(shape, config)


def test_the_bonus_is_the_divergence_of_posterior_and_prior(moves) -> None:
    source, batch = made(LatentBayesianSurpriseConfig(updates_per_rollout=10)), moves(64)
    source.update(batch)
    networks, (inputs, targets) = source.networks, source.view(batch)
    with torch.no_grad():
        mean, log_std = networks.posterior.mean_and_log_std(networks.after(torch.cat([inputs, targets], -1)))
        prior_mean, prior_log_std = networks.prior.mean_and_log_std(networks.before(inputs))
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(prior_mean, prior_log_std.exp())).sum(-1)
    torch.testing.assert_close(source.novelty(batch), expected)
    torch.testing.assert_close(source.reward(moves(64)), expected / source.unit.var.sqrt().float(), rtol=1e-4, atol=0)


def test_noise_keeps_its_nats_and_what_can_be_foreseen_none(noisy) -> None:
    """One of two numbers follows from the action, the other one is noise: told to within half its spread it is worth
    log 2 nats, as the bound is tight for Gaussians."""
    shape = TaskShape(observation_size=2, action_size=1)
    config = LatentBayesianSurpriseConfig(
        hidden=(32,), latent=4, updates_per_rollout=150, batch_size=256, learning_rate=3e-3
    )
    source = made(config, shape)
    for seed in range(8):
        source.optimizer.param_groups[0]["lr"] = 3e-3 if seed < 5 else 3e-4
        source.update(noisy(2048, seed=seed))
    assert float(source.novelty(noisy(2048, seed=9)).mean()) == pytest.approx(math.log(2), abs=0.1)


def test_far_from_everything_seen_it_is_finite(moves) -> None:
    source = made(LatentBayesianSurpriseConfig())
    for seed in range(3):
        source.update(moves(64, seed=seed))
    assert torch.isfinite(source.reward(moves(64, place=1e6))).all()
