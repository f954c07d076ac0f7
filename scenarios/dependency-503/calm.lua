-- For wrk: each connection asks about 25 times a second, as people do who look around.
function delay()
    return 40
end
