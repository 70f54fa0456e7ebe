"""The node agent: brings one node's containers to the state the master wants and tells the master what it sees."""
