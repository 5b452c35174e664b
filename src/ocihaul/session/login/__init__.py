"""The login of a person: browser, callback, and the files of a profile."""
