#include "server/config.h"

#include <algorithm>
#include <filesystem>

#include "server/options.h"

namespace varve::server {
namespace {

using engine::Errc;
using engine::Fail;
using engine::Result;

constexpr uint64_t kDefaultLoopsMax = 8;
constexpr uint64_t kDefaultMergesMax = 4;

// Puts what was found out in the place of 0, and makes paths independent of the working directory.
Settings Resolve(Settings settings, const Machine& machine) {
  if (settings.io_threads == 0) {
    settings.io_threads = std::clamp<uint64_t>(machine.cores - 1, 1, kDefaultLoopsMax);
  }
  if (settings.background_threads == 0) {
    settings.background_threads = std::clamp<uint64_t>(machine.cores - 1, 1, kDefaultMergesMax);
  }
  if (settings.maxmemory == 0) settings.maxmemory = machine.memory_bytes / 2;
  for (std::string* path : {&settings.dir, &settings.logfile, &settings.pidfile}) {
    if (path->empty()) continue;
    std::error_code ignored;  // the path is then left as it was given
    const std::filesystem::path absolute = std::filesystem::absolute(*path, ignored);
    if (!ignored) *path = absolute.lexically_normal().string();
  }
  return settings;
}

std::string NameHint(std::string_view name) {
  return fmt::format(
      "Bad directive or wrong number of arguments\n"
      "Varve has no option '{}'; `varve-server --help` lists those that it has.",
      name);
}

}  // namespace

Config::Config(Machine machine)
    : machine_(machine), settings_(Resolve(DefaultSettings(), machine)) {}

Result<void> Config::Load(std::span<const Directive> directives) {
  Settings settings = DefaultSettings();
  for (const Directive& directive : directives) {
    const Option* option = FindOption(directive.name);
    if (option == nullptr) {
      return Fail(Errc::kInvalidArgument, "{}",
                  DescribeProblem(directive, NameHint(directive.name)));
    }
    const Result<void> parsed = directive.arguments.empty()
                                    ? Fail(Errc::kInvalidArgument, "wrong number of arguments")
                                    : ParseOption(*option, directive.arguments, settings);
    if (!parsed) {
      return Fail(Errc::kInvalidArgument, "{}", DescribeProblem(directive, parsed.error().context));
    }
  }
  const std::lock_guard lock(mutex_);
  settings_ = Resolve(std::move(settings), machine_);
  return {};
}

Settings Config::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

std::vector<std::pair<std::string, std::string>> Config::Parameters() const {
  const Settings settings = this->settings();
  std::vector<std::pair<std::string, std::string>> parameters;
  for (const Option& option : Options()) {
    parameters.emplace_back(option.name, FormatOption(option, settings));
  }
  return parameters;
}

std::optional<SetRefusal> Config::Set(
    std::span<const std::pair<std::string, std::string>> parameters) {
  const std::lock_guard lock(mutex_);
  Settings settings = settings_;
  for (const auto& [name, value] : parameters) {
    const Option* option = FindOption(name);
    if (option == nullptr) return SetRefusal{name, ""};
    const bool fixed = std::holds_alternative<FixedValue>(option->field);
    if (!option->at_runtime && !fixed) return SetRefusal{name, "can't set immutable config"};
    if (const auto parsed = ParseOption(*option, {&value, 1}, settings); !parsed) {
      return SetRefusal{name, parsed.error().context};
    }
  }
  if (settings.maxclients > settings_.maxclients) {
    if (const uint64_t possible = ReserveFiles(settings.maxclients);
        possible < settings.maxclients) {
      return SetRefusal{"maxclients",
                        fmt::format("The operating system is not able to handle the specified "
                                    "number of clients, try with {}",
                                    possible)};
    }
  }
  settings_ = Resolve(std::move(settings), machine_);
  return std::nullopt;
}

}  // namespace varve::server
