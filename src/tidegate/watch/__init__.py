"""Recognises known failures in logs, bundles and the output of commands: signatures as data, findings with evidence."""
