"""Every parser of what comes from outside, in one table: for hypothesis and for atheris."""

from tests.fuzz import of_files, of_options, of_session, of_storage, of_wire

TARGETS = {
    target.name: target
    for module in (of_wire, of_storage, of_session, of_files, of_options)
    for target in module.TARGETS
}
