"""The command ``tidegate``.

``app.py`` lists the commands by import path, so that starting one does not import the others; every other module holds
commands of one kind. Commands return an exit code, take ``--output`` when they report, and raise the errors of
``tidegate.errors`` for ``app.py`` to print.
"""
