"""From the launch to done: approve, start, stage, pause, recall, cancel, settle."""
