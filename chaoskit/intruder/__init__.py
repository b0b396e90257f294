"""The attacker of `attack.ransomware`: a process in a victim's place, with what it finds there and nothing else.

It is given the victim's environment. From that it takes PostgreSQL log-ins and folders; whatever lies outside the run's
own addresses and the run's own backup store it leaves alone and says so. It stops only when it is ended.
"""
