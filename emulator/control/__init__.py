"""The control plane: time, state and limits of a team, below `/_emulator` on the same port."""
