"""The door to Stable-Baselines3: no other layer below `agents` and `envs` imports it."""
