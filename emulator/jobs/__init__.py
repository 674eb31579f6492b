"""Jobs: handlers of job rows, run by the teams' clocks."""
