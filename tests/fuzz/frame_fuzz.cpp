/// The frame decoder's door: whatever bytes come, it refuses with a reason or yields a header that encodes to them.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "wire/frame.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace dtrain::wire;
  const auto decoded = decode(std::as_bytes(std::span(data, size)));
  if (const auto* header = std::get_if<Header>(&decoded)) {
    const auto again = encode(*header);
    if (size != again.size() || std::memcmp(again.data(), data, size) != 0) std::abort();
  } else if (std::get<Refusal>(decoded).why.empty()) {
    std::abort();
  }
  return 0;
}
