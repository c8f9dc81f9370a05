"""Virtual phones: the EnvayaSMS app as seen from a server, over real HTTP and without Django.

``phone.VirtualPhone`` is one phone, ``app_outbox`` how the app sends, ``radio`` what becomes of an SMS,
``answers`` what the app makes of a server's words, ``requests`` what it says, ``life`` the demo's daily life.
"""
