#pragma once

#include <functional>
#include <string>
#include <thread>

namespace varve::engine {

// Starts a thread in which all signals are blocked: a signal for the process must find the thread
// that waits for it, never one that is in a write. `name` is what tools show (at most 15 bytes).
// Throws std::system_error without a thread.
std::thread StartThread(const std::string& name, std::function<void()> run);

}  // namespace varve::engine
