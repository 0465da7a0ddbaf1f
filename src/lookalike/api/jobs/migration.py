"""Jobs of a migration: describing all images by another model, and ending it.

They run beside other jobs, one of them at a time: to describe all images again may take hours, and
folders are to be indexed meanwhile.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.jobs.context import JobContext, JobFunction
from lookalike.api.jobs.job import MIGRATE
from lookalike.descriptors.catalog import split_precision
from lookalike.descriptors.loader import named_folder
from lookalike.output import documents
from lookalike.system.patience import LOOK


def allowed_options(folders: AllowedFolders, request: dict[str, Any]) -> dict[str, Any]:
    """The options of a migration, with the real paths of the folders that they name.

    Raises:
        Forbidden: a folder is not below a root, or files on the web must not be fetched.
        SourceError: there is no such folder.
    """
    options = dict(request)
    if options.get("fetch"):
        folders.require_fetch("")
    if (model_dir := options.get("model_dir")) is not None:
        options["model_dir"] = folders.resolve(model_dir)
    model = options.get("model") or ""
    name, _ = split_precision(model)
    if folder := named_folder(name):
        start = len(name) - len(folder)
        options["model"] = model[:start] + folders.resolve(folder) + model[len(name) :]
    return options


def run_migrate(context: JobContext, request: dict[str, Any]) -> None:
    """Describes all images by another model."""
    options = allowed_options(context.folders, request)
    migrate = partial(
        context.index.migrate,
        **options,
        private=context.folders.private,
        progress=context.progress,
    )
    report = migrate()
    context.publish(documents.of_migration_report(report))
    if report.status.lacking > report.missed:  # added by a job that began before
        while not context.turn.acquire(LOOK):
            context.progress("waiting for another job")
        try:
            context.publish(documents.of_migration_report(migrate()))
        finally:
            context.turn.release()


def _run_end(context: JobContext, request: dict[str, Any], *, cancel: bool) -> None:
    """Removes the vectors of the model that does not serve."""
    if context.index.migration() is None:  # ended before an interruption
        return
    context.progress("removing vectors")
    if cancel:
        context.index.cancel_migration()
    else:
        context.index.finish_migration()


FUNCTIONS: dict[str, JobFunction] = {
    MIGRATE: run_migrate,
    "finish-migration": partial(_run_end, cancel=False),
    "cancel-migration": partial(_run_end, cancel=True),
}
