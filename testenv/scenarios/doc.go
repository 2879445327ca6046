// Package scenarios tests the real programs in labs: vnmgr and one vna per host, as they are built, with guests that send real and
// forged packets, configured through the Web API, killed and restarted. What a package can test alone is not tested here,
// and neither is speed: that is testenv/bench. It holds tests only, nobody imports it.
package scenarios
