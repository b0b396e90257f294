"""chaoskit: chaos-engineering and disaster-recovery drills whose verdicts are measured, not guessed."""
