-- ARGV[1] is the key prefix; every key of ours stands below GM.
local PREFIX = ARGV[1]
local GM = PREFIX .. 'gm1:'
