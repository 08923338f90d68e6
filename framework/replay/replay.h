#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/snapshot.h"
#include "plugin_host/registry.h"

namespace backplane {

/// One tensor of a checkpoint, computed again from what the checkpoint holds before it.
struct ReplayedTensor {
  std::string name;     ///< below the layer: "z", "gradients/W"; "activation_gradient of 'hidden1'"
  Shape shape;          ///< of what is compared
  std::string why_not;  ///< why it was not computed or compared; empty: it was
  std::int64_t elements = 0, different = 0;  ///< in bits
  /// The element that is farthest off, and by how many ULPs (tensor/ulps.h); kNoUlps where one of the two
  /// is NaN.
  std::int64_t worst_element = 0;
  std::uint64_t worst_ulps = 0;
  double stored = 0.0, replayed = 0.0;
};

struct ReplayedLayer {
  std::string name, type, activation;
  std::string plugin, version, sha256;        ///< that computed it again
  std::string stored_version, stored_sha256;  ///< that wrote the checkpoint
  std::vector<ReplayedTensor> tensors;
};

struct Replay {
  std::int64_t step = 0;  ///< of the checkpoint; the batch is that of step + 1
  std::int64_t batch_rows = 0, stored_rows = 0, slice_rows = 0;
  std::vector<ReplayedLayer> layers;
};

/// Runs layers of a checkpoint again, each by itself, on the tensors that the checkpoint stores: forward on the
/// activations that feed it (or the probe's input), the activation on the stored z, δ from the stored ∂C/∂a (of the
/// last layer: from the loss), backward on the stored δ. So a difference belongs to this layer and no other. The
/// network is built from /config; no data is loaded.
///
/// Calls have the rows, slices and tiles of training, on which bits may depend. A slice of which only some rows are
/// stored is filled up with copies of stored rows, and these are compared. What sums over the batch (gradients, batch
/// statistics) needs all of its rows stored, else `why_not` says so; likewise ∂C/∂a that several layers add to.
///
/// `only`: the layer; empty: all. Throws UserError: bad_config as read_experiment (a plug-in that is missing), usage
/// where there is no such layer, bad_data where the plug-in plans other parameters than the checkpoint holds,
/// or where its numbers do not fit each other.
Replay replay(const Snapshot& snapshot, const std::string& source, const Registry& registry, const std::string& only);

}  // namespace backplane
