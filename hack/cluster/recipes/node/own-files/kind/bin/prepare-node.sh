#!/bin/sh
# Run once while the image is built: makes kind's files fit Debian's containerd and this machine.
set -eu

chmod 0755 /usr/local/bin/entrypoint /usr/local/bin/clean-install /kind/bin/*

# The same clean-up of units that kind's own Dockerfile does.
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
    /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/basic.target.wants/* \
    /lib/systemd/system/sockets.target.wants/*udev* \
    /lib/systemd/system/sockets.target.wants/*initctl*
echo "ReadKMsg=no" >> /etc/systemd/journald.conf
rm -f /etc/systemd/system/containerd-fuse-overlayfs.service

# kind and its units look for containerd where kind's image has it.
for program in containerd ctr containerd-shim-runc-v2; do
    ln -sf "/usr/bin/$program" "/usr/local/bin/$program"
done
mkdir -p /opt/cni /etc/cni/net.d /etc/kubernetes/manifests
ln -sfn /usr/lib/cni /opt/cni/bin

# Inside a sandbox nobody may lower an OOM score; every pod sandbox would die of trying
# ("can't get final child's PID from pipe: EOF").
sed -i '/^OOMScoreAdjust=/d' /etc/systemd/system/containerd.service
sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml

if [ -e /kind/bin/runc-without-sys-resource ]; then
    sed -i 's|^\( *\)SystemdCgroup = true|&\n\1BinaryName = "/kind/bin/runc-without-sys-resource"|' \
        /etc/containerd/config.toml
fi

ctr oci spec \
    | jq '.hooks.createContainer += [{"path": "/kind/bin/mount-product-files.sh"}]
          | del(.process.rlimits)' > /etc/containerd/cri-base.json

systemctl enable kubelet.service containerd.service undo-mount-hacks.service \
    import-images.service pod-routes.service
systemctl mask systemd-binfmt.service
rm -rf /var/log/* /tmp/* "$0"
