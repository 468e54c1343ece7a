--@ ack(consumer, tags: list) frees
--@ uses broker/lease
-- Acknowledge messages that the consumer still owns. Touches q and suspects of their queues.
-- Returns the tags that are no longer its own.
return acknowledge(consumer, tags)
