"""Ansible steps of procedures: a playbook, or tasks written in the step, run by ansible-runner as a process of its own.

Knows ansible-runner's folders and events and the Runner port; must never import ansible, which is GPL.
"""
