#include "engine/error.h"

#include <cerrno>
#include <cstring>
#include <string_view>

namespace varve::engine {

tl::unexpected<Error> FailSystem(int system_error, std::string what) {
  Errc code = Errc::kIo;
  if (system_error == ENOSPC || system_error == EDQUOT) code = Errc::kNoSpace;
  if (system_error == EMFILE || system_error == ENFILE) code = Errc::kTooManyFiles;
  if (system_error == ENOENT) code = Errc::kNotFound;
  const std::string_view advice =
      code == Errc::kTooManyFiles
          ? "; raise the limit of open files (ulimit -n, LimitNOFILE), or have fewer connections"
          : "";
  return tl::unexpected<Error>(Error{
      code, fmt::format("{}: {}{}", what, std::strerror(system_error), advice), system_error});
}

}  // namespace varve::engine
