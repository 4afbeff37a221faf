"""Options of runs that take a second."""

TINY = (
    *("--set", "hidden=[16]", "--device", "cpu", "--budget", "steps=20", "--budget", "evaluate_every=10"),
    *("--budget", "evaluation_episodes=2", "--budget", "headline_evaluations=1", "--budget", "batch_size=8"),
)
