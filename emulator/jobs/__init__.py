"""What happens later: handlers of job rows, driven by the teams' clocks."""
