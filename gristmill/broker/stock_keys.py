"""The names that stock kombu gives to the lists of a queue."""

from kombu.transport.redis import Channel

#: What follows a queue's name in the keys of its lists, by priority from 0 to 9, whatever steps the sender has.
LIST_KEYS = ("", *(f"{Channel.sep}{level}" for level in range(1, 10)))
