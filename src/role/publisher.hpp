#pragma once
/// What of an owner's weights its readers hold, where they are sent packed changes instead of the weights.
///
/// The owner steps its own weights, the model; what is published follows: published += decoded(encoded(model -
/// published)), and every reader that adds the same decoded change has the same bits. What a change loses stays in the
/// difference, and so goes into the next one: that is error feedback, whose residual is model - published.
///
/// A vote is told as it is, in bits: the owner's step follows from it, and so does every reader's. Model and published
/// weights are the same then.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/codec.hpp"
#include "plan/plan.hpp"

namespace dtrain::role {

class Publisher {
 public:
  /// For a slice that owner number `owner` (a server's rank) steps, by `threads`.
  Publisher(const plan::Plan& plan, const plan::Slice& slice, int owner, int threads);

  struct Arenas {
    std::span<const float> model, before;  ///< of a vote the majority's signs, and nothing
    std::span<float> after;                ///< what is published from now on; of a vote nothing
  };
  /// One change of the slice, by piece into `changes`. Returns the first weight of a piece whose change the codec
  /// cannot carry (it is not finite), or nullopt.
  std::optional<Index> publish(const Arenas& arenas, const codec::Turn& turn,
                               std::vector<std::vector<std::byte>>& changes);
  /// The same of one piece.
  std::optional<Index> publish(std::size_t piece, const Arenas& arenas, const codec::Turn& turn,
                               std::vector<std::byte>& change);

 private:
  struct Part {
    std::unique_ptr<codec::Encoder> encoder;
    std::unique_ptr<codec::Decoder> decoder;
    std::vector<float> decoded;
    std::size_t most_bytes = 0;
    bool failed = false;
  };
  void publish_piece(std::size_t piece, const Arenas& arenas, const codec::Turn& turn, std::vector<std::byte>& change);

  static bool encode(Part& part, std::span<const float> values, const codec::Turn& turn,
                     std::vector<std::byte>& change);

  plan::Slice slice_;
  int threads_;
  bool votes_;
  std::vector<Part> parts_;
};

/// What a decoded change makes of the weights from `first` on, wherever it is taken with the same bits.
/// `applied_rows`: that led to `before`. `after` may be the memory of either.
void follow_change(const plan::Plan& plan, Index first, Index applied_rows, std::span<const float> change,
                   std::span<const float> before, std::span<float> after);

}  // namespace dtrain::role
