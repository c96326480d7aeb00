"""Reward sources: anything that pays the agent."""
