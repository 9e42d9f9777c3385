#include <cstddef>
#include <cstdint>

#include "message_door.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  dtrain::role::doors::try_message({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
