"""One algorithm, one file. Every policy here implements `policy.Policy`."""
