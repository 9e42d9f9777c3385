#pragma once
/// SHA-256 for what must be trusted (weights, checkpoints), XXH3 for what must only be compared quickly (data, frames).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dtrain {

/// Feeds bytes in pieces; hex() ends it. One thread at a time.
class Sha256 {
 public:
  Sha256();
  Sha256& add(std::span<const std::byte> bytes);
  /// 64 lower-case hex digits. Call once.
  std::string hex();

 private:
  alignas(8) std::array<std::byte, 112> state_;
};

std::string sha256(std::span<const std::byte> bytes);

/// HMAC-SHA256 (RFC 2104), 64 lower-case hex digits. `key` may have any length.
std::string hmac_sha256(std::string_view key, std::string_view message);
/// Equality in a time that does not tell where two secrets of the same length first differ.
bool same_secret(std::string_view a, std::string_view b);

/// XXH3, 64 bits. `seed` chains pieces: hash of (hash so far, next piece).
std::uint64_t fast_hash(std::span<const std::byte> bytes, std::uint64_t seed = 0);

/// 16 lower-case hex digits.
std::string hex(std::uint64_t value);

/// 64 bits from the kernel's generator: nonces and incarnations, never anything that a result depends on.
std::uint64_t entropy();

}  // namespace dtrain
