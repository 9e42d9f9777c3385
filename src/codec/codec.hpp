#pragma once
/// What a piece of the flat vector is sent as: fewer bytes per float.
///
/// An Encoder turns the floats of one sender's range into bytes, step after step, and keeps what it has not sent yet; a
/// Decoder turns the bytes back. Both allocate when they are made and no more once every step's size has been seen.
/// One thread at a time each; different ones run side by side.
/// Sources: Alistarh et al. 2017 (qsgd), Seide et al. 2014 (onebit), Lin et al. 2018 (topk), IEEE 754 (fp16),
/// RFC 8878 (zstd), Karimireddy et al. 2019 (signs).
///
/// Bytes, little-endian, for n values in buckets of 512 (the last one may be shorter):
///   none    n floats
///   fp16    n halves
///   bf16    the upper halves of n floats
///   qsgd    a bucket: its norm as a float, then its levels in two's complement of 2, 4, 8 or 16 bits, whichever is the
///           narrowest that holds -s to s; narrower than a byte, byte j of r holds levels j, j + r, j + 2r, ...
///   onebit  a bucket: the mean of its values without the sign bit and of those with it, then the sign bits, the lowest
///           bit of a byte first
///   topk    k as 4 bytes; where the k values lie; the k values as floats, by ascending index. Where: n bits, or for
///           each 65,536 indices their number as 4 bytes and then each index's lower 2 bytes; the shorter, bits in a
///           tie
///   signs   the sign bits, 1 for +1, the lowest bit of a byte first; decoded to +1 and -1
///   zstd    one zstd frame that declares its content's size; the content is what the inner codec wrote

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "job/job.hpp"

namespace dtrain::codec {

inline constexpr std::size_t bucket_values = 512;

struct Options {
  job::Codec codec = job::Codec::none;
  job::Codec inner = job::Codec::none;  ///< zstd: whose bytes are packed; any but zstd
  bool signs = false;                   ///< the signs alone, which no `codec` names
  std::optional<bool> feedback = {};    ///< fp16, bf16, qsgd, onebit, signs. Absent: onebit only, nothing without it
  int levels = 127;                     ///< qsgd: s, from 1 to 32,767
  double density = 0.001;               ///< topk: the share of the values that is sent, (0, 1]
  double first_density = 0.25;          ///< topk: that share where the warm-up begins, (0, 1]
  float momentum = 0;                   ///< topk: of the velocity that the sender keeps; 0 keeps none
  bool masking = true;                  ///< topk: the velocity of a sent value is cleared too
  double clip_norm = 0;                 ///< topk: the most that a range's norm may be before it is added; 0: any
  int zstd_level = 1;
};

/// Which part of the flat vector an Encoder sends, and for whom.
struct Range {
  std::uint64_t seed = 1;
  std::uint32_t sender = 0;    ///< no two that encode the same weights in a step share it
  std::uint64_t position = 0;  ///< of the first value in the flat vector; the range ends below 2^34
  std::size_t count = 0;
};

/// One step of an Encoder.
struct Turn {
  std::uint64_t step = 0;  ///< names qsgd's draws
  float rescale = 1;       ///< what is not sent yet is first multiplied by it: rescaling() of the rates
  double warmed = 1;       ///< topk: the share of the warm-up that has passed, [0, 1]
};

/// What a vector of unsent updates is multiplied by when the learning rate changes; 1 where either rate is 0.
float rescaling(double old_rate, double new_rate);

/// Values that outlive a step, for checkpoints: written there and read back in place.
struct State {
  std::string_view name;  ///< "residual" or "velocity"
  std::span<float> values;
};

class Encoder {
 public:
  virtual ~Encoder() = default;

  /// Writes the range's values to `out`, which holds at least most_bytes(), and returns how many bytes that took.
  /// Nothing if the codec cannot carry them, because they are not finite (never so for none, fp16, bf16 and signs
  /// without feedback): the state is then as it was. Nothing too, and a state to be thrown away, if a sum of finite
  /// values overflowed.
  virtual std::optional<std::size_t> encode(std::span<const float> values, const Turn& turn,
                                            std::span<std::byte> out) = 0;
  virtual std::vector<State> state() { return {}; }
};

/// Why bytes were refused, as a person would say it.
struct Refusal {
  std::string why;
};

class Decoder {
 public:
  virtual ~Decoder() = default;

  /// Fills `out`, of as many values as the decoder was made for, from unaligned bytes that nobody vouches for.
  /// Refuses wrong lengths and counts, indices that are out of range or do not ascend, levels beyond s, norms and means
  /// of the wrong sign or not finite, bits set where no value is, and a content of another size than fits or than the
  /// frame declares. After a refusal `out` holds anything.
  [[nodiscard]] virtual std::optional<Refusal> decode(std::span<const std::byte> bytes, std::span<float> out) = 0;
};

std::unique_ptr<Encoder> make_encoder(const Options& options, const Range& range);
std::unique_ptr<Decoder> make_decoder(const Options& options, std::size_t count);

/// How many bytes `count` values take when `warmed` of the warm-up has passed: exact, and under zstd the most.
std::size_t bytes(const Options& options, std::size_t count, double warmed = 1);
/// The most that they take in any step.
std::size_t most_bytes(const Options& options, std::size_t count);

/// topk: from first_density to density, geometrically, as the warm-up passes.
double density(const Options& options, double warmed);

/// Whether what was lost in a step is added to the next one's values by a wrapper round the codec.
bool has_feedback(const Options& options);

}  // namespace dtrain::codec
