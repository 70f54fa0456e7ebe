from services.deploy_svc.store import grids, tables


def test_whatever_belongs_to_a_grid_by_name_goes_with_it() -> None:
    owned = {table.name for table in tables.metadata.tables.values() if {"grid_id", "grid"} <= set(table.c.keys())}
    assert owned == {"services", *(table.name for table in grids.GOES_WITH_IT)}
