"""The mathematics: pure functions on arrays. Needs numpy and scipy only."""
