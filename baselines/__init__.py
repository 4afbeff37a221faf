"""One algorithm, one file. Every policy here obeys the contract of `policy.Policy`."""
