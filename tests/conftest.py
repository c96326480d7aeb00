"""Fixtures that several tests share, and the checking of shapes and types in every tensor function."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

torch.set_num_threads(1)

# No property is a matter of time: a busy machine takes long for a first example.
settings.register_profile("rlgen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rlgen")

# A suite started in the background inherits an ignored Ctrl-C, which the tests of Ctrl-C could not press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports them. In production the annotations cost nothing and check nothing.
install_import_hook(
    ["rlgen.equations", "rlgen.nn", "rlgen.rewards", "rlgen.generators.metrics"],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)


SLOW = (
    "agents/test_data_parallel.py::test_a_stop_asked_of_one_process_saves_what_both_have_done",
    "agents/test_resume.py::test_a_run_killed_and_resumed_gives_the_same_numbers_bit_for_bit[sac]",
    "agents/test_earlier_runs.py::test_an_earlier_run_is_trained_on[vime]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[VAIL]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[f-GAIL, forward KL]",
    "sim/test_warp_physics.py::test_a_recorded_step_is_the_step_bit_for_bit[Humanoid-v5]",
    "agents/test_data_parallel.py::test_two_processes_train_resume_and_write_one_run",
    "agents/test_train_image.py::test_a_run_killed_and_resumed_gives_the_same_bit_for_bit[vae]",
    "agents/test_train_image.py::test_a_run_killed_and_resumed_gives_the_same_bit_for_bit[dcgan]",
    "agents/test_earlier_runs.py::test_an_earlier_run_is_trained_on[infogail]",
    "agents/test_earlier_runs.py::test_an_earlier_run_is_trained_on[ppo]",
    "agents/test_resume.py::test_a_run_killed_and_resumed_gives_the_same_numbers_bit_for_bit[infogail]",
    "agents/test_resume.py::test_a_run_stopped_by_ctrl_c_and_resumed_gives_the_same_numbers_bit_for_bit[DAC]",
    "agents/test_train_off_policy.py::test_a_run_trains_ends_trains_on_and_its_policy_plays[crossq]",
    "agents/test_resume.py::test_a_run_killed_before_its_first_checkpoint_begins_anew[DAC]",
    "agents/test_train_image_labels.py::test_an_interrupted_run_goes_on_bit_for_bit",
    "agents/test_train_image.py::test_a_run_killed_before_its_first_checkpoint_begins_anew",
    "agents/test_train_on.py::test_sac_keeps_the_replay_buffer_that_it_saved",
    "agents/test_off_policy_spaces.py::test_sqil_balances_with_dqn_as_shown",
    "agents/test_train_spaces.py::test_a_run_of_images_is_stopped_resumed_evaluated_and_published[PPO",
    "agents/test_train_spaces.py::test_a_run_of_images_is_stopped_resumed_evaluated_and_published[DQN of images]",
    "agents/test_train_spaces.py::test_tasks_of_images_are_learned_by_their_own_reward[DQN]",
    "agents/test_gail_spaces.py::test_a_grid_is_walked_as_shown_without_cloning[GridDictionary]",
    "agents/test_bc.py::test_the_same_seed_clones_the_same_weights",
    "agents/test_resume.py::test_a_run_killed_and_resumed_gives_the_same_numbers_bit_for_bit[vime]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[f-GAIL",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[WGAIL-GP]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[FQ-GAIL]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[PIRO]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[DiffAIL]",
    "agents/test_bc.py::test_noise_on_the_observations_makes_the_policy_smooth",
    "agents/test_bc.py::test_the_likelihood_also_finds_the_experts_noise",
    "rewards/test_information_gain.py::test_a_flow_over_weights_pays_more_for_places_that_were_never_seen_and_goes_on_when_loaded[first",
    "generators/test_image_throughput_benchmark.py::test_contenders_take_turns_and_are_compared_within_each",
    "sim/test_warp_physics.py::test_positions_and_velocities_are_those_of_c_mujoco[Humanoid-v5]",
    "sim/test_warp_physics.py::test_positions_and_velocities_are_those_of_c_mujoco[rlgen/SparseHumanoid-v0]",
    "sb3/test_two_learners.py::test_a_first_update_of_two_processes_is_that_of_one_with_all_worlds",
    "agents/test_train_rl.py::test_it_learns_the_tasks_reward",
    "agents/test_train_on.py::test_a_finished_run_that_trains_on_is_the_longer_run",
    "agents/test_train_on.py::test_an_image_model_trains_on",
    "agents/test_train_off_policy.py::test_a_run_trains_ends_trains_on_and_its_policy_plays[sac]",
    "agents/test_train_off_policy.py::test_a_run_trains_ends_trains_on_and_its_policy_plays[csil]",
    "agents/test_train_off_policy.py::test_a_run_trains_ends_trains_on_and_its_policy_plays[lsiq]",
    "agents/test_sqil.py::test_it_learns_to_imitate",
    "agents/test_hype.py::test_it_learns_to_imitate",
    "agents/test_lsiq.py::test_it_learns_to_imitate[IQ-Learn]",
    "agents/test_csil.py::test_ppo_learns_to_imitate_without_cloning_its_policy",
    "agents/test_gail_spaces.py::test_a_grid_is_walked_as_shown_without_cloning[GridImage]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[DRAIL]",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[CFIL]",
    "agents/test_gail_off_policy.py::test_what_sac_has_learned_to_imitate_it_keeps",
    "agents/test_gail.py::test_without_cloning_every_variant_comes_near_the_expert[from observations]",
    "agents/test_goal_task.py::test_imitation_keeps_a_goal_that_ends_the_episode_thanks_to_absorbing_states[off",
    "agents/test_goal_task.py::test_an_expert_that_falls_is_imitated_in_how_long_it_stands",
    "agents/test_earlier_runs.py::test_earlier_runs_are_reported_together",
    "agents/test_earlier_runs.py::test_an_earlier_run_is_trained_on[gail]",
    "agents/test_resume.py::test_a_run_killed_and_resumed_gives_the_same_numbers_bit_for_bit[DAC]",
    "agents/test_resume.py::test_the_run_to_be_disturbed_has_something_to_lose[DAC]",
    "agents/test_resume.py::test_a_run_stopped_by_ctrl_c_and_resumed_gives_the_same_numbers_bit_for_bit[infogail]",
    "agents/test_resume.py::test_a_run_killed_before_its_first_checkpoint_begins_anew[sac]",
    "agents/test_cli.py::test_waiting_threads_of_torch_sleep_unless_told_otherwise[active",
    "agents/test_gail_off_policy.py::test_bc_clones_an_actor[TD3]",
    "agents/test_train_spaces.py::test_tasks_of_images_are_learned_by_their_own_reward[PPO]",
    "agents/test_train_infogail.py::test_the_codes_are_filmed_one_by_one",
    "agents/test_train_explore.py::test_the_policy_can_be_evaluated_afterwards",
    "agents/test_stopping.py::test_a_run_that_was_reported_before_its_end_still_trains_on",
    "sim/test_warp_physics.py::test_positions_and_velocities_are_those_of_c_mujoco[rlgen/DisabledAnt-v0]",
    "test_notebooks.py::test_the_notebook_runs[imitate_your_own_expert]",
    "sb3/test_two_learners.py::",
    "agents/test_train_noise.py::test_a_run_explores_by_its_untrained_policy_and_goes_on_bit_for_bit",
    "bench/test_worker.py::test_a_failed_cell_is_left_until_it_is_tried_again",
    "agents/test_train_off_policy.py::test_a_run_trains_ends_trains_on_and_its_policy_plays[sqil]",
    "agents/test_hyperparams.py::test_typed_options_override_the_entry_and_the_run_records_all",
    "agents/test_cli.py::test_waiting_threads_of_torch_sleep_unless_told_otherwise[None",
    "agents/test_lsiq.py::test_it_learns_to_imitate[LS-IQ]",
    "agents/test_csil.py::test_sac_learns_to_imitate_without_cloning_its_actor",
    "agents/test_resume.py::test_the_run_to_be_disturbed_has_something_to_lose[sac]",
    "agents/test_resume.py::test_a_run_stopped_by_ctrl_c_and_resumed_gives_the_same_numbers_bit_for_bit[sac]",
    "agents/test_resume.py::test_a_run_killed_before_its_first_checkpoint_begins_anew[vime]",
    "sim/test_warp_physics.py::test_what_a_task_reads_is_as_stale_as_in_c_mujoco[Humanoid-v5]",
    "sim/test_warp_physics.py::test_what_a_task_reads_is_as_stale_as_in_c_mujoco[rlgen/SparseHumanoid-v0]",
    "sim/test_warp_physics.py::test_contacts_without_room_are_an_error_that_names_the_size_to_raise[size1",
    "sim/test_reference_states.py::test_all_episodes_start_in_demonstrated_states[Hopper-v5-warp]",
    "agents/test_image_bits.py::test_levels_that_are_all_as_likely_cost_eight_bits[20]",
    "sb3/test_no_waiting.py::test_a_round_waits_for_nothing[scaled",
    "sb3/test_no_waiting.py::test_a_curiositys_update_waits_for_nothing[flow",
    "agents/test_gail.py::test_the_warm_start_alone_is_near_the_expert_already",
    "agents/test_bc.py::test_a_few_rows_that_nobody_can_clone_do_not_hide_how_well_plain_regression_does",
    "agents/test_bc.py::test_regularization_is_kept_where_plain_regression_is_hardly_better",
    "generators/test_trainer.py::test_every_model_learns_in_bfloat16_nearly_as_in_float32[began]",
)  # fmt: skip
"""The slowest tests, most like a faster one in the same file. `make test-slow` runs them, `make test` the others."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -m gpu` runs what the tests on a CPU leave out, `pytest -m slow` the slowest."""
    for item in items:
        if item.get_closest_marker("gpu") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))
        if item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real demonstrations, experts and MNIST: $RLGEN_DATA, or `shared/data` beside the checkout."""
    folder = Path(os.environ.get("RLGEN_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not (folder / "demos").is_dir():
        pytest.skip("no real demonstrations at hand: set RLGEN_DATA to their folder")
    return folder
