"""`python -m gateway.exec_bridge` serves until SIGTERM."""

from gateway.exec_bridge.server import main

if __name__ == "__main__":
    main()
