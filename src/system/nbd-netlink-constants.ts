/** Numbers of the kernel NBD driver's netlink family (linux/nbd-netlink.h); a test compiles them against the header. */

export const NBD_GENL_VERSION = 1;

export const NBD_CMD_CONNECT = 1;
export const NBD_CMD_DISCONNECT = 2;
export const NBD_CMD_RECONFIGURE = 3;
export const NBD_CMD_LINK_DEAD = 4;
export const NBD_CMD_STATUS = 5;

export const NBD_ATTR_INDEX = 1;
export const NBD_ATTR_SIZE_BYTES = 2;
export const NBD_ATTR_BLOCK_SIZE_BYTES = 3;
export const NBD_ATTR_TIMEOUT = 4;
export const NBD_ATTR_SERVER_FLAGS = 5;
export const NBD_ATTR_SOCKETS = 7;
export const NBD_ATTR_DEAD_CONN_TIMEOUT = 8;
export const NBD_ATTR_BACKEND_IDENTIFIER = 10;

/** NBD_ATTR_SOCKETS holds items of this type, each of which holds one descriptor. */
export const NBD_SOCK_ITEM = 1;
export const NBD_SOCK_FD = 1;
