"""From a launched mailing to recorded answers: prepare, claim, submit, record, look up."""
