#pragma once
/// What a role sends of the flat vector in fewer bytes, piece by piece, and what its receivers make of it.
///
/// A Packer keeps what the codec has not sent yet: state, which belongs to a step. A step that turns out not to count
/// is taken back, so that what it sent is sent again. One thread each.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "codec/codec.hpp"
#include "plan/plan.hpp"

namespace dtrain::role {

class Packer {
 public:
  /// `sender`: no two that pack the same weights in a step share it. `arenas`: of state, as plan::kept_arenas() has it.
  /// `origin`: plan::Plan::origin().
  Packer(const codec::Options& options, std::uint64_t seed, std::uint32_t sender, std::vector<plan::Piece> pieces,
         int arenas, Index origin = 0);

  /// Pieces from here on belong to this step, which has this learning rate and this share of the warm-up behind it.
  void begin(std::uint64_t step, double rate, double warmed);
  /// The piece's values as bytes; valid until its next pack(). Once a step. Nothing if the codec cannot carry them:
  /// they are not finite.
  std::optional<std::span<const std::byte>> pack(std::size_t piece, std::span<const float> values);
  /// The bytes of the piece's last pack(), to be sent once more; nothing if it was not packed in the step begun last.
  std::optional<std::span<const std::byte>> packed(std::size_t piece) const;
  /// What was packed in this step counts as not sent. Only of the step begun last; no effect for another.
  void take_back(std::uint64_t step);

  const std::vector<plan::Piece>& pieces() const { return pieces_; }
  std::size_t arenas() const { return arenas_; }
  /// What is kept back of one piece, to be saved or loaded.
  std::span<float> state(std::size_t arena, std::size_t piece);
  /// The piece that begins at this weight and has as many.
  std::optional<std::size_t> find(std::uint64_t offset, std::uint64_t count) const;
  /// Learning rate that the state is for; 0: none yet.
  double rate() const { return rate_; }
  void set_rate(double rate) { rate_ = rate; }

 private:
  struct Part {
    std::unique_ptr<codec::Encoder> encoder;
    std::vector<std::byte> bytes;
    std::vector<std::vector<float>> before;  ///< per arena: the state before the last pack()
    bool packed = false;                     ///< in the step begun last
    std::size_t filled = 0;                  ///< of `bytes`, by the last pack()
  };
  std::vector<plan::Piece> pieces_;
  std::size_t arenas_;
  std::vector<Part> parts_;
  codec::Turn turn_;
  double rate_ = 0, rate_before_ = 0;
};

class Unpacker {
 public:
  Unpacker(const codec::Options& options, std::uint16_t codec, std::span<const plan::Piece> pieces);

  /// As headers name the codec that is expected.
  std::uint16_t codec() const { return codec_; }
  /// Fills `out`, as many values as the piece has. False if the bytes are refused: `out` holds anything then.
  [[nodiscard]] bool unpack(std::size_t piece, std::span<const std::byte> bytes, std::span<float> out);
  /// Or memory of its own, which holds them until the next time; nothing if the bytes are refused.
  std::optional<std::span<const float>> unpack(std::size_t piece, std::span<const std::byte> bytes);

 private:
  std::uint16_t codec_;
  std::vector<std::unique_ptr<codec::Decoder>> decoders_;
  std::vector<std::size_t> counts_;
  std::vector<float> scratch_;
};

}  // namespace dtrain::role
