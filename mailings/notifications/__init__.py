"""One person, one event, one message: notifications and test messages."""
