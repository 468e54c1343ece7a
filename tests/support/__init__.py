"""What tests share: places to run commands in, servers, proxies, sites, the engine and the browser."""
