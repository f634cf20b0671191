# The image of the driver: initiator, node plugin and controller are commands of one program.
#
#   npm run image                      builds localhost/aoe-csi:VERSION with buildah
#   docker build --tag aoe-csi .       the same with Docker
#
# BASE           Node 24 on Debian 12, x64 or arm64; name it by digest to have the same bytes again
# PACKAGES       where the programs are
# PROGRAMS       all that the image has, of these and of the base: first what the driver calls, then what people call who look into
#                one of its containers
# MORE_PROGRAMS  what is wanted beside that: nbdfuse, say, for the attach backend `fuse`, which nodes without an nbd module need

ARG BASE=docker.io/library/node:24-bookworm-slim
ARG PACKAGES="e2fsprogs xfsprogs btrfs-progs kmod mount util-linux libnbd-bin"
ARG PROGRAMS="node mkfs.ext4 e2fsck resize2fs dumpe2fs mkfs.xfs xfs_growfs xfs_repair mkfs.btrfs btrfs blkid wipefs blockdev blkdiscard \
  losetup mount umount modprobe setpriv unshare dd stat sync test \
  sh env cat ls grep head tail wc du df date id uname sleep ln mkdir rm lsblk findmnt"
ARG MORE_PROGRAMS=""

# Not made where a context `bundle` is given, whose folder app is `dist/app` of `npm run bundle`.
FROM ${BASE} AS bundle
WORKDIR /src
COPY . .
RUN npm run bundle && mv dist/app /app

FROM ${BASE} AS system
ARG PACKAGES
# What the base has is not fetched again: an image can be built without a network.
RUN missing=$(for each in ${PACKAGES}; do dpkg-query --show "${each}" >/dev/null 2>&1 || echo "${each}"; done); \
    if [ -n "${missing}" ]; then \
      apt-get update && \
      DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ${missing}; \
    fi
ARG PROGRAMS
ARG MORE_PROGRAMS
COPY deploy/image/collect.sh /collect.sh
RUN sh /collect.sh /image ${PROGRAMS} ${MORE_PROGRAMS} && ln -s ../lib/aoe-csi/main.js /image/usr/bin/aoe-csi

FROM scratch
COPY --from=system /image /
COPY --from=bundle /app /usr/lib/aoe-csi
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="aoe-csi" \
      org.opencontainers.image.description="Kubernetes CSI driver for ATA over Ethernet" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# Initiator and node plugin work on devices and mounts, and must be root: the chart says so. Everything else need not be.
USER 65532:65532
ENTRYPOINT ["/usr/bin/aoe-csi"]
CMD ["--help"]
