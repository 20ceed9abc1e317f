"""Everything between the network and a view: proxies, limits, outages, health."""
