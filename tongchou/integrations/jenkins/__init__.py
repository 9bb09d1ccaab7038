"""Jenkins: a step that starts a job and follows its build, and builds that become deployments.

Knows Jenkins' remote access API. Must not decide which service a build deployed: the sender's rules do.
"""
