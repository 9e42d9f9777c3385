#include <cstddef>
#include <cstdint>

#include "data_doors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  dtrain::data::doors::try_table({reinterpret_cast<const char*>(bytes), size});
  return 0;
}
