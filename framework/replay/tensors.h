#pragma once

#include <cstdint>
#include <vector>

#include "replay/context.h"

namespace backplane {

/// The tensors of one layer, as the checkpoint stores them and as they are computed again, and calls on them as in
/// training. Used by one thread.
class ReplayTensors {
 public:
  /// Puts the stored parameters into the network's layer. Throws UserError (bad_data) where the checkpoint does not
  /// hold what the layer is planned to have.
  ReplayTensors(const ReplayContext& context, std::size_t index);

  /// Reads the stored inputs; writes new_saved, new_z and new_delta.
  LayerCall& begin_forward(Rows rows);
  /// Reads the stored inputs, z and delta; what is wanted, the caller adds.
  LayerCall& begin_backward(Rows rows);

  /// Where the row `begin` stands, of rows of `size` elements.
  void* row(Buffer& buffer, std::int64_t begin, std::int64_t size) const {
    return buffer.as<char>() + static_cast<std::size_t>(begin * size) * size_of(c_.dtype());
  }
  /// NULL where the data has no lengths.
  const std::int64_t* lengths(std::int64_t begin) const { return lengths_.empty() ? nullptr : lengths_.data() + begin; }

  // As stored, filled up to whole slices; d_a is empty where none is stored:
  Buffer z, a, d_a, delta;
  // Computed again:
  Buffer new_z, new_a, new_delta;
  std::vector<Buffer> new_saved, d_inputs;
  std::vector<double> forward_sums, backward_sums;

 private:
  void take_parameters();
  void take_outputs();
  void take_inputs();
  void take_saved();
  void take_state();
  /// A call as in training, before it is said what is read and what is written.
  void begin(Rows rows);
  /// What `is_new` says of each saved tensor; the stored one is handed over where it is there.
  template <class IsNew>
  void set_saved(Rows rows, const IsNew& is_new);

  const ReplayContext& c_;
  const std::size_t index_;
  LayerNode& node_;
  const StoredLayer& stored_;
  LayerCall call_;
  const std::uint64_t key_;
  std::vector<Buffer> inputs_, saved_, carried_;
  std::vector<std::int64_t> lengths_;
  Buffer workspace_;
};

}  // namespace backplane
